#!/bin/sh
# Makes the namespace and the search attributes that runs are listed by. Safe to run again.
set -eu
retention=${RETENTION:-30d}
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$retention"

# A new namespace is known to all parts of the server a few seconds later.
attempts=30
until known=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"); do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || exit 1
    sleep 1
done

attribute() {
    case $known in
        *"$1"*) echo "$1 is there" ;;
        *) temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$1" --type "$2" ;;
    esac
}

attribute OrchestratorWorkflowId Keyword
attribute OrchestratorVersion Int
attribute OrchestratorCustomerId Keyword
attribute OrchestratorTrigger Keyword
attribute OrchestratorWaiting KeywordList
attribute OrchestratorKeys KeywordList
attribute OrchestratorMovedAt Datetime
