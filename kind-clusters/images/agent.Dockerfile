# qonnect-agent, the process in each cluster. Build it from the root of the repository:
#   docker build -f kind-clusters/images/agent.Dockerfile -t qonnect-agent:local .
FROM rust:1.95-bookworm AS build
# The image's toolchain is the pinned one; rustup need not fetch its components for people.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked -p qonnect-agent && cp target/dist/qonnect-agent /qonnect-agent

FROM debian:bookworm-slim
# Certificates for https, the ssh program for ssh.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /qonnect-agent /usr/bin/qonnect-agent
USER 65532:65532
ENTRYPOINT ["/usr/bin/qonnect-agent"]
