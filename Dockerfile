# syntax=docker/dockerfile:1
# The dashboard in a container; docs/hosting.md says how it is run.
#
#   docker build -t vit-debugger .
#   docker build -t vit-debugger:cuda --build-arg ACCELERATOR=cuda .

FROM python:3.11.14-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# `cpu`, or `cuda` for NVIDIA GPUs: about 4 GB more.
ARG ACCELERATOR=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.txt deploy/requirements.lock ./
RUN python -m venv /opt/venv
# PyPI's torch is the one for CUDA. The one for processors has an index of its own, and so do the
# hashes of its files: there the versions are those of requirements.txt.
RUN if [ "$ACCELERATOR" = cuda ]; then \
        cp requirements.lock rest.lock; \
    else \
        test "$ACCELERATOR" = cpu && \
        grep -E '^torch(vision)?==' requirements.txt > torch.txt && \
        /opt/venv/bin/python -m pip install --no-deps -r torch.txt \
            --index-url https://download.pytorch.org/whl/cpu && \
        sed -E '/^(torch|torchvision|triton|(nvidia|cuda)-[a-z0-9-]+)(\[[^]]*\])?==/,/[^\\]$/d' \
            requirements.lock > rest.lock; \
    fi
RUN /opt/venv/bin/python -m pip install --no-deps --require-hashes -r rest.lock && \
    /opt/venv/bin/python -m pip check
WORKDIR /app
COPY app.py ./
COPY .streamlit/config.toml .streamlit/
COPY pages pages
COPY attnlib attnlib
# At run time nothing here can be written.
RUN /opt/venv/bin/python -m compileall -q app.py pages attnlib

FROM python:3.11.14-slim-bookworm AS app
RUN useradd --uid 1000 --no-create-home --home-dir /tmp app && \
    install -d -o app -g app /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    ATTNLIB_HOME=/data \
    HF_HOME=/data/huggingface \
    TORCH_HOME=/data/torch \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true
USER 1000:1000
VOLUME /data
EXPOSE 8501
# It answers once the demo model is loaded. Whether visitors should be sent here says /readyz.
HEALTHCHECK --interval=15s --timeout=6s --start-period=120s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:8501/healthz', timeout=5)"]
CMD ["python", "-m", "streamlit", "run", "app.py"]
