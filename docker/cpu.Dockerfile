# distill without CUDA. Build from the top of the checkout: docker build -f docker/cpu.Dockerfile -t distill:cpu .
ARG PYTHON_IMAGE=python:3.12-slim
FROM ${PYTHON_IMAGE}

ARG TORCH="torch>=2.10"
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG UID=1000
ARG GID=1000

# The compiler is for --compile. Debian keeps only the newest package of a version, so it is not pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid ${GID} distill \
    && useradd --uid ${UID} --gid ${GID} --create-home distill \
    && mkdir /data /cache \
    && chown distill:distill /data /cache

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    DISTILL_CACHE=/cache

# From what changes least to what changes most: torch, the other dependencies, the source.
# The version stands in the TORCH argument.
# hadolint ignore=DL3013
RUN pip install "${TORCH}" --index-url "${TORCH_INDEX}"

COPY pyproject.toml /src/
RUN python -c "import tomllib; print(*tomllib.load(open('/src/pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > /src/requirements.txt \
    && pip install -r /src/requirements.txt

COPY . /src/
RUN pip install --no-deps /src

USER ${UID}:${GID}
WORKDIR /data
VOLUME ["/data", "/cache"]
HEALTHCHECK --interval=60s --timeout=10s CMD ["distill", "--version"]
ENTRYPOINT ["distill"]
CMD ["--help"]
