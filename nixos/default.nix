# The NixOS modules: one file per service, each imported here after those it depends on. Each also imports these itself, so
# that any of them can be taken alone.
{
  imports = [
    ./package.nix
    ./updates.nix
    ./network.nix
    ./settings.nix
    ./secrets.nix
    ./host.nix
    ./irq.nix
    ./wireguard.nix
    ./firewall.nix
    ./watchdog.nix
    ./watchtower.nix
    ./exchange.nix
    ./engine.nix
    ./alpha.nix
    ./recorder.nix
    ./miner.nix
    ./worker.nix
    ./exporter.nix
    ./prometheus.nix
    ./alertmanager.nix
    ./grafana.nix
    ./node.nix
    ./backup.nix
    ./deployment.nix
  ];
}
