# --8<-- [start:entrypoint]
FROM nexus-lab
COPY --chmod=755 entrypoint.sh /
ENTRYPOINT ["/entrypoint.sh"]
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "lab.docker.signals"]
# --8<-- [end:entrypoint]
