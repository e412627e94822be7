"""What is measured: the same tasks written for each library, and the verbs to use them by."""
