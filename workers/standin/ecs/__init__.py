"""An Amazon ECS that runs each task's command as a process of this machine.

Any boto3 client talks to it by `AWS_ENDPOINT_URL`. It copies what ECS does where that hurts: tokens, visibility
lag, limits, throttling, stop reasons, and faults to order. `docs/ecs-standin.md` has a table of every copied
quirk with its source. Start reading at `world.py` (the state) and `server.py` (the wire).
"""
