"""What the watchdog sees in a connector's status."""

from runtime.connect import failed

TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask\n"
    "\tat org.apache.kafka.connect.runtime.WorkerSinkTask.poll(WorkerSinkTask.java:359)\n"
    "Caused by: com.mongodb.MongoTimeoutException: mongodb://user:password@host did not answer\n"
    "\t... 11 more\n"
)


def test_it_names_what_has_failed_and_the_class_of_the_root_error_only() -> None:
    status = {
        "connector": {"state": "RUNNING"},
        "tasks": [{"id": 0, "state": "RUNNING"}, {"id": 1, "state": "FAILED", "trace": TRACE}],
    }
    assert failed(status) == {"task 1": "com.mongodb.MongoTimeoutException"}


def test_a_failure_without_a_trace_is_still_a_failure() -> None:
    assert failed({"connector": {"state": "FAILED"}, "tasks": []}) == {"connector": "?"}
