# The node: receiver, coordinator and command line. No torch, SimpleITK or highdicom inside.
#   docker build -f deploy/node.Dockerfile -t quartet-node:0.1.0 .
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/quartet
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dicom_node dicom_node
COPY worker worker
COPY model model
COPY training training
# One wheel holds all packages; the extra decides what they can do here.
RUN /opt/quartet/bin/pip install --no-cache-dir --constraint constraints.txt '.[node]' \
 && rm -rf /opt/quartet/lib/python3.11/site-packages/worker \
           /opt/quartet/lib/python3.11/site-packages/model \
           /opt/quartet/lib/python3.11/site-packages/training

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/quartet quartet
COPY --from=build /opt/quartet /opt/quartet
ENV PATH=/opt/quartet/bin:$PATH PYTHONUNBUFFERED=1 QUARTET_CONFIG=/etc/quartet/quartet.toml
USER 10001:10001
WORKDIR /var/lib/quartet
VOLUME /var/lib/quartet
EXPOSE 11112
STOPSIGNAL SIGTERM
ENTRYPOINT ["quartet"]
CMD ["receive"]
