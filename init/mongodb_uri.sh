#!/usr/bin/env bash
# Prints the URI of the Atlas cluster that MY_MONGODB_USER, MY_MONGODB_PASS and MY_MONGODB_CLUSTER name: the one rule of
# both modes. Ends with an error when the cluster's name cannot be a host's.
set -euo pipefail
export LC_ALL=C # bytes, not characters

# Everything that has a meaning in a URI, or is no ASCII, as %XX.
percent_encode() {
    local text=$1 character index code
    for ((index = 0; index < ${#text}; index++)); do
        character=${text:index:1}
        case $character in
        [a-zA-Z0-9.~_-]) printf '%s' "$character" ;;
        *)
            printf -v code '%d' "'$character" # negative above 127 in some versions of bash
            printf '%%%02X' $((code & 255))
            ;;
        esac
    done
}

label='[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
[[ $MY_MONGODB_CLUSTER =~ ^$label(\.$label)*$ ]] || {
    # What comes before an @ is a password, of a whole URI that was given.
    printf '%s\n' "MY_MONGODB_CLUSTER='${MY_MONGODB_CLUSTER##*@}' must be the cluster's name as Atlas shows it, such as cluster0.ab1cd, or a full host name" >&2
    exit 1
}
# Atlas names a cluster cluster0.ab1cd (an old one cluster0-ab1cd), its host cluster0.ab1cd.mongodb.net. Any other name with
# two dots or more is a full host name too, of a DNS zone of one's own.
case $MY_MONGODB_CLUSTER in
*.*.*) host=$MY_MONGODB_CLUSTER ;;
*) host=$MY_MONGODB_CLUSTER.mongodb.net ;;
esac
printf 'mongodb+srv://%s:%s@%s/?retryWrites=true&w=majority\n' \
    "$(percent_encode "$MY_MONGODB_USER")" "$(percent_encode "$MY_MONGODB_PASS")" "$host"
