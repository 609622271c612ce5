# The mesh's image, where there is a container engine. `cargo xtask image` packs the same without one.
FROM rust:1.95-bookworm AS build
WORKDIR /mesh
COPY . .
RUN cargo build --profile dist --package mesh-init --package mesh-proxy --package mesh-discovery \
      --package mesh-injector --package mesh-ctl

FROM debian:bookworm-slim
# Both variants are in the one package, under iptables-nft and iptables-legacy.
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1337 --user-group --home-dir /tmp --shell /bin/false istio-proxy \
 && install -d -o 1337 -g 1337 /etc/istio/proxy /var/lib/istio/data
COPY --from=build /mesh/target/dist/mesh-init /mesh/target/dist/mesh-proxy /mesh/target/dist/mesh-discovery \
     /mesh/target/dist/mesh-injector /mesh/target/dist/meshctl /usr/local/bin/
# The names by which Istio's injection templates and CNI plugin call its proxy image.
RUN ln -s mesh-proxy /usr/local/bin/pilot-agent
USER 1337:1337
ENTRYPOINT ["/usr/local/bin/pilot-agent"]
