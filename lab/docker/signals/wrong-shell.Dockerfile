# --8<-- [start:wrong_shell]
FROM nexus-lab
CMD gunicorn --bind 0.0.0.0:8000 lab.docker.signals
# --8<-- [end:wrong_shell]
