# Grafana, on the WireGuard address alone, with our dashboard and our Prometheus; nobody looks without a password.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  credential = name: "$__file{/run/credentials/grafana.service/${name}}";
in
{
  imports = [
    ./settings.nix
    ./secrets.nix
    ./wireguard.nix
  ];

  options.services.hlhft.grafana.enable =
    lib.mkEnableOption "Grafana, which shows the dashboards over WireGuard";

  config = lib.mkIf (cfg.enable && cfg.grafana.enable) {
    assertions = [
      {
        assertion = cfg.prometheus.enable or false;
        message = "services.hlhft.grafana has nothing to show: enable services.hlhft.prometheus.";
      }
      {
        assertion =
          !(config.services.grafana.settings ? "auth.anonymous")
          || !(config.services.grafana.settings."auth.anonymous".enabled or false);
        message = "services.grafana.settings.\"auth.anonymous\".enabled is on: positions and profit are shown to nobody without a password.";
      }
      {
        assertion = config.services.grafana.settings.server.http_addr == cfg.wireguard.address;
        message = "services.grafana.settings.server.http_addr is not this host's WireGuard address, where alone dashboards are shown.";
      }
    ];

    services.hlhft.secrets.units.grafana = [
      "grafana-secret-key"
      "grafana-admin-password"
    ];
    environment.etc."hlhft/grafana/hlhft.json".source = ./files/grafana/hlhft.json;

    services.grafana = {
      enable = true;
      settings = {
        server = {
          http_addr = cfg.wireguard.address;
          http_port = cfg.ports.GRAFANA;
        };
        security = {
          secret_key = credential "grafana-secret-key";
          admin_password = credential "grafana-admin-password";
          disable_gravatar = true;
        };
        users.allow_sign_up = false;
        analytics = {
          reporting_enabled = false;
          check_for_updates = false;
        };
      };
      provision = {
        enable = true;
        datasources.settings = {
          apiVersion = 1;
          datasources = [
            {
              name = "Prometheus";
              type = "prometheus";
              uid = "prometheus";
              url = "http://${cfg.wireguard.address}:${toString cfg.ports.PROMETHEUS}";
              isDefault = true;
              editable = false;
            }
          ];
        };
        dashboards.settings = {
          apiVersion = 1;
          providers = [
            {
              name = "hlhft";
              type = "file";
              options.path = "/etc/hlhft/grafana";
            }
          ];
        };
      };
    };

    networking.firewall.interfaces.wg0.allowedTCPPorts = [ cfg.ports.GRAFANA ];
  };
}
