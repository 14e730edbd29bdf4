# The server for a team, for `docker build .` at the top of a checkout. Its steps are deploy/steps, which run without an
# engine too; docs/deploy.md says what it needs. No secret is in it: keys and tokens are files that are mounted.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY fal_mcp ./fal_mcp
COPY deploy ./deploy
RUN deploy/steps wheel /source /wheels
RUN deploy/steps install /wheels /opt/fal-mcp
RUN cp deploy/healthy.py /opt/fal-mcp/healthy.py

FROM python:3.12-slim
# A number, so that an orchestrator can see that it is not root; /data is the one folder that is written to.
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/fal-mcp /opt/fal-mcp
ENV HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/data/cache \
    FAL_MCP_DATA_DIR=/data
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["/opt/fal-mcp/bin/python", "-I", "/opt/fal-mcp/healthy.py", "8080"]
# Without a shell between: the server is process 1, and is told itself to end.
ENTRYPOINT ["/opt/fal-mcp/bin/fal-mcp"]
CMD ["serve", "--http", "0.0.0.0:8080"]
