import pickle

from evaluator.domain.errors import EvaluatorError, InvalidArgumentError


def test_an_error_crosses_processes_whole_whatever_its_class_takes():
    error = InvalidArgumentError("--limit", -1, "is negative", "ask for 1 or more")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is InvalidArgumentError
    assert (str(again), again.hint, again.value) == (str(error), error.hint, -1)
    assert isinstance(again, EvaluatorError)
