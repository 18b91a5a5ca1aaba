"""What node and worker agree on: slots, messages, the job folder and the form of a log line. Standard library only; both sides import it."""
