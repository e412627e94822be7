"""Tutorial 7, publisher confirms: what was sent is kept, or the sender is told that it is not."""

from ropeway import Ropeway

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")


@app.task(name="count", queue="plain")
def count(number: int) -> int:
    """Do nothing; here a plain client receives."""
    return number


if __name__ == "__main__":
    jobs = app.send_many(count.call(number) for number in range(100))
    print(f" [x] {len(jobs)} are confirmed")
