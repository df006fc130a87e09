"""Going back restores the active nodes exactly, and the undo log grows with the work, not with its square."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.interpreter.frames import Frame
from orchestrator.interpreter.variables import Data, Rewound, UndoEntry

RANKS = st.integers(0, 9)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.just(0)),
        st.tuples(st.just("activate"), RANKS),
        st.tuples(st.just("exit"), RANKS),
        st.tuples(st.just("go back"), RANKS),
        st.tuples(st.just("carry over"), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.thorough
@settings(max_examples=300)
@given(st.lists(RANKS, unique=True, max_size=5), MOVES)
def test_going_back_restores_the_ranks_and_exits_of_then(entries: list[int], moves: list[tuple[str, int]]) -> None:
    """The model stores a copy of both at each first start."""
    frame, data = Frame(sorted(entries)), Data({"steps": {}}, undo_log=[])
    copies: dict[str, tuple[list[int], list[str]]] = {}
    for move, rank in moves:
        key = f"/{rank}"
        match move:
            case "start" if frame.active:
                key = f"/{frame.take()}"
                copies.setdefault(key, (list(frame.active), list(frame.exits)))
                data.mark(key, 1, frame)
            case "activate":
                frame.activate(rank)
            case "exit":
                frame.exits.append(str(rank))
            case "go back" if key in copies:
                data.rewind(key, frame)

                assert (frame.active, frame.exits) == copies[key]

                names = list(copies)
                copies = {name: copies[name] for name in names[: names.index(key)]}
                frame.activate(rank)
            case "carry over":
                frame = Frame.from_json(json.loads(json.dumps(frame.to_json(data))), data)
                log = [entry.to_json() for entry in data.undo_log or ()]
                data = Data(
                    data.context, undo_log=[UndoEntry.from_json(entry) for entry in json.loads(json.dumps(log))]
                )


def test_going_back_in_an_iteration_is_counted_in_the_flows_around_it() -> None:
    """The counts of a run that continues as new are right without the steps of earlier executions."""
    data, frame = Data({"steps": {}}, undo_log=[]), Frame([0])
    data.mark("/each", 1, frame)
    data.count_step(1, begun=1)
    fork, inner = data.fork(), Frame([0, 1])
    for number, node in ((2, "a"), (3, "b")):
        fork.mark(f"each[0]/{node}", number, inner)
        fork.count_step(number, begun=1)
        fork.count_step(number, ended=1)

    assert fork.rewind("each[0]/b", inner) == Rewound(3, begun=1, ended=1)
    assert data.rewind("/each", frame) == Rewound(1, begun=2, ended=1)


def test_the_undo_log_of_a_wide_fan_out_grows_with_its_width() -> None:
    """With the whole list of active ranks in each entry it took 74 MB."""
    width = 5_500
    frame, data = Frame(list(range(width))), Data({"steps": {}}, undo_log=[])
    for number in range(width):
        data.mark(f"/n{frame.take()}", number, frame)

    assert data.undo_log is not None
    assert len(json.dumps([entry.to_json() for entry in data.undo_log])) < 60 * width
