# One worker: registration, inference, SEG and SR. Of the node it holds the contract only.
#   docker build -f deploy/worker.Dockerfile -t quartet-worker:0.1.0 .                       CPU
#   docker build -f deploy/worker.Dockerfile -t quartet-worker:0.1.0-cuda \
#     --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .                       NVIDIA
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
RUN python -m venv /opt/quartet
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dicom_node dicom_node
COPY worker worker
COPY model model
COPY training training
RUN /opt/quartet/bin/pip install --no-cache-dir --constraint constraints.txt --extra-index-url ${TORCH_INDEX} \
      '.[worker]' \
 && cd /opt/quartet/lib/python3.11/site-packages \
 && rm -rf training \
 && find dicom_node -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name contract -exec rm -rf {} +

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/quartet quartet
COPY --from=build /opt/quartet /opt/quartet
ENV PATH=/opt/quartet/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/quartet
VOLUME /var/lib/quartet
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "worker", "--config", "/etc/quartet/quartet.toml"]
