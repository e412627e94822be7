"""What workflows cost: a step of a chain, and an item of a wide map beside a plain task; also Celery's."""
