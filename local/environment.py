"""What every process of the local stack gets from the launcher's environment.

Everything else stays with the launcher: a MONGODB_HOST, AWS_PROFILE or JAVA_TOOL_OPTIONS of the user's shell is meant for
other programs.
"""

import os

# Who and where the user is, the language, the clock. The library paths are for a Python that cannot start without them.
BASICS = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LOCAL_DIR"),
    *("LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
)


# How glibc fills the memory that it gives. When a broker answers that a partition has no leader yet, as after its restart,
# librdkafka reads memory that it has not written, and the process dies if that looks like a partition (librdkafka issue 5280).
# Filled like this it does not. The cache per thread is off because it does not fill. local/bootstrap.sh and the images have the
# same.
GLIBC_TUNABLES = "glibc.malloc.perturb=85:glibc.malloc.tcache_count=0"


def basics() -> dict[str, str]:
    """The part of the environment that every process gets."""
    return {name: value for name, value in os.environ.items() if name in BASICS or name.startswith("LC_")}
