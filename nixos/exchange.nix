# The embedded exchange as a service: for paper trading and tests, never asked from outside. It opens with one funded
# account, which the settings name; the wallets of engine and watchdog are approved for it, as a person does at the venue.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
  inherit (lib.importJSON ./schema.json) rehearsal;
  wallets =
    lib.optionalAttrs (cfg.engine.enable or false) { engine = "agent-key"; }
    // lib.optionalAttrs (cfg.watchdog.enable or false) { watchdog = "watchdog-key"; };
  approved = {
    wants = [ "hlhft-approval.service" ];
    after = [ "hlhft-approval.service" ];
  };
in
{
  imports = [
    ./secrets.nix
    ./settings.nix
    ./host.nix
  ];

  options.services.hlhft.exchange = {
    enable = lib.mkEnableOption "the embedded exchange, on loopback";

    seed = lib.mkOption {
      type = lib.types.ints.unsigned;
      default = rehearsal.seed;
      description = "Of all that it draws, and of its funded account; with another, name that account in settings.account.address.";
    };

    arguments = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [
        "--flow"
        "live"
      ];
      description = "What more `hlhft exchange` is told.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.exchange.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.settings.account.network == "local";
            message = "services.hlhft.exchange runs and settings.account.network is ${cfg.settings.account.network}: an exchange of our own has no place on a host that trades elsewhere.";
          }
        ];
        services.hlhft.settings.account.address = lib.mkDefault rehearsal.address;
        services.hlhft.settings.account.base_url =
          lib.mkDefault "http://127.0.0.1:${toString cfg.ports.PAPER_EXCHANGE}";
      }
      (service {
        name = "exchange";
        description = "the embedded exchange";
        command = lib.escapeShellArgs (
          [
            "exchange"
            "--port"
            (toString cfg.ports.PAPER_EXCHANGE)
            "--seed"
            (toString cfg.exchange.seed)
            "--state"
            "/var/lib/hlhft-exchange/state"
            "--ready-file"
            "/run/hlhft-exchange/ready.json"
          ]
          ++ cfg.exchange.arguments
        );
        memory = "4G";
        relaxations = [
          "loopback"
          "jit"
        ];
        serviceConfig = {
          CacheDirectory = "hlhft-exchange";
          CacheDirectoryMode = "0700";
          RuntimeDirectory = "hlhft-exchange";
          RuntimeDirectoryMode = "0700";
          # The first start compiles.
          TimeoutStartSec = 600;
        };
      })
      (lib.mkIf (wallets != { }) (
        lib.mkMerge [
          (service {
            name = "approval";
            description = "wallets approved at the embedded exchange";
            command = lib.escapeShellArgs (
              [
                "approve"
                "--config"
                "/etc/hlhft/settings.toml"
                "--seed"
                (toString cfg.exchange.seed)
              ]
              ++ lib.mapAttrsToList (name: key: "${name}=/run/credentials/hlhft-approval.service/${key}") wallets
            );
            memory = "256M";
            notifies = false;
            relaxations = [ "loopback" ];
            unit.after = [ "hlhft-exchange.service" ];
            unit.requires = [ "hlhft-exchange.service" ];
            serviceConfig = {
              Type = "oneshot";
              RemainAfterExit = true;
            };
          })
          {
            services.hlhft.secrets.units.hlhft-approval = lib.attrValues wallets;
            systemd.services.hlhft-engine = lib.mkIf (cfg.engine.enable or false) approved;
            systemd.services.hlhft-watchdog = lib.mkIf (cfg.watchdog.enable or false) approved;
          }
        ]
      ))
    ]
  );
}
