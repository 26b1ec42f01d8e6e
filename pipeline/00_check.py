"""Refuse a wrong params.yaml before any other stage does work."""

from _stage import Params, run


def main(params: Params) -> None:
    """Loading has checked everything; say what will be built."""
    models = ", ".join(("linear", "model", *params.run.compare))
    print(f"params.yaml is valid: {', '.join(params.run.datasets)} with {models}")


if __name__ == "__main__":
    run(main)
