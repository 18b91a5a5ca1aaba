"""Jobs: the catalog owes them, Celery rings the doorbell, the job folder brings the outcome back.

leases.py decides (pure), doorbell.py rings, dispatch.py looks at each open job, outcomes.py writes down what came back.
"""
