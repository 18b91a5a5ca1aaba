"""What node and worker agree on: slots, messages, the job folder, the form of a log line. Standard library only."""
