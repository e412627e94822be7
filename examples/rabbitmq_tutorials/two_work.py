"""Tutorial 2, work queues: tasks that take time are shared out among workers, and none is lost."""

import time

from ropeway import Ropeway

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")


@app.task(name="work", queue="work")
def work(text: str) -> str:
    """Work for as long as there are dots; acknowledged when it is done, not before."""
    time.sleep(text.count(".") / 100)
    print(f" [x] Done {text}")
    return f"done: {text}"


if __name__ == "__main__":
    for number in range(3):
        work.using(queue="plain").send(f"Task {number}" + "." * number)
    print(" [x] Sent 3 tasks")
