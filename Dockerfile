# One image for all tasks: training, prediction, collecting, the report. `docker build -t predict-age .`
# checkov:skip=CKV_DOCKER_2: a task is watched by the state machine until it ends; nothing asks for its health
FROM python:3.11-slim

# LightGBM and XGBoost need OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements-aws.txt ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-aws.txt \
    && find /usr/local/lib -depth -type d -name tests -exec rm -rf {} +

COPY src ./src

# The prediction API has no time to compile kernels: their machine code, for the processor that its function names (terraform/api.tf).
RUN if [ "$(uname -m)" = aarch64 ]; then export NUMBA_CPU_NAME=neoverse-n1 NUMBA_CPU_FEATURES=+neon; \
    else export NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2; fi \
    && PYTHONPATH=/app/src HOME=/tmp python -m predict_age.aws.built_kernels /app/kernels

# Nobody, and nothing to write but /scratch.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin predict-age && mkdir /scratch && chown 10001:10001 /scratch
USER 10001:10001
ENV PYTHONPATH=/app/src PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/scratch TMPDIR=/scratch PREDICT_AGE_SCRATCH=/scratch
VOLUME /scratch
ENTRYPOINT ["python", "-m", "predict_age"]
CMD ["--help"]
