# Two images from one file: `--target agent` (httpx and little else) and `--target server` (the default).
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /opt/slabhound
WORKDIR /src
COPY requirements requirements

# Dependencies first, from the lock; then this checkout, fetching nothing more; then the build back end goes.
FROM build AS build-agent
RUN pip --python /opt/slabhound/bin/python3 install --require-hashes -r requirements/base.txt
COPY . .
RUN pip --python /opt/slabhound/bin/python3 install --no-deps --no-build-isolation . \
    && pip --python /opt/slabhound/bin/python3 uninstall --yes setuptools

FROM build AS build-server
RUN pip --python /opt/slabhound/bin/python3 install --require-hashes -r requirements/server.txt
COPY . .
RUN pip --python /opt/slabhound/bin/python3 install --no-deps --no-build-isolation . \
    && pip --python /opt/slabhound/bin/python3 uninstall --yes setuptools

# Root without a capability: the container engine gives other users none, and root owns /proc/slabinfo (0400).
FROM ${PYTHON} AS agent
COPY --from=build-agent /opt/slabhound /opt/slabhound
ENV PATH=/opt/slabhound/bin:$PATH PYTHONUNBUFFERED=1
USER 0:0
ENTRYPOINT ["slabhound", "agent"]
CMD ["--proc", "/host/proc", "--sys", "/host/sys", "--spool", "/var/lib/slabhound"]

FROM ${PYTHON} AS server
COPY --from=build-server /opt/slabhound /opt/slabhound
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/slabhound
ENV PATH=/opt/slabhound/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/slabhound
EXPOSE 8080
ENTRYPOINT ["slabhound"]
CMD ["server", "--host", "0.0.0.0", "--store", "sqlite:////var/lib/slabhound/slabhound.db"]
