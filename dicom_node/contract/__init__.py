"""What node and worker agree on: slots, messages and the job folder. Standard library only; both sides import it."""
