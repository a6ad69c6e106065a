# --8<-- [start:exec]
FROM nexus-lab
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "lab.docker.signals"]
# --8<-- [end:exec]
