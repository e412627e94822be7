"""Tutorial 6, RPC: who sends a call with `reply_to` is told its result."""

from ropeway import Ropeway

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")


@app.task(name="fib", queue="rpc")
def fib(n: int) -> int:
    """Return a number of Fibonacci."""
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
