"""Three nodes of RabbitMQ that are killed, cut off and filled: what a pair on them loses by that."""
