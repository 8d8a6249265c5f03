# Alertmanager, on loopback: Prometheus tells it, it calls a person. Where it calls is secret, as whoever knows may, too.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  hardening = import ./lib/hardening.nix { inherit lib; };
in
{
  imports = [
    ./settings.nix
    ./secrets.nix
  ];

  options.services.hlhft.alertmanager.enable =
    lib.mkEnableOption "Alertmanager, which calls a person at the addresses of three secrets";

  config = lib.mkIf (cfg.enable && cfg.alertmanager.enable) {
    assertions = [
      {
        assertion = cfg.prometheus.enable or false;
        message = "services.hlhft.alertmanager is told by nobody: enable services.hlhft.prometheus.";
      }
    ];

    services.hlhft.secrets.units.alertmanager = [
      "page-url"
      "ticket-url"
      "heartbeat-url"
    ];
    environment.etc."hlhft/alertmanager.json".text =
      builtins.readFile ./files/prometheus/alertmanager.json;

    systemd.services.alertmanager = {
      description = "Alertmanager, with what hlhft alerts writes";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      restartTriggers = [ (builtins.readFile ./files/prometheus/alertmanager.json) ];
      serviceConfig =
        hardening.of [
          hardening.relaxations.network
        ]
        // {
          ExecStart = lib.concatStringsSep " " [
            (lib.getExe' pkgs.prometheus-alertmanager "alertmanager")
            "--config.file=/etc/hlhft/alertmanager.json"
            "--storage.path=/var/lib/alertmanager"
            "--web.listen-address=127.0.0.1:${toString cfg.ports.ALERTMANAGER}"
            # One of it is all there is: no port for others of its kind.
            "--cluster.listen-address="
          ];
          DynamicUser = true;
          StateDirectory = "alertmanager";
          StateDirectoryMode = "0700";
          Restart = "always";
          RestartSec = 1;
          MemoryMax = "256M";
        };
    };
  };
}
