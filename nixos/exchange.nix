# The embedded exchange as a service: for the demo, paper trading and tests, never asked from outside.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
in
{
  imports = [
    ./settings.nix
    ./host.nix
  ];

  options.services.hlhft.exchange = {
    enable = lib.mkEnableOption "the embedded exchange, on loopback";

    arguments = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [
        "--seed"
        "7"
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
        services.hlhft.settings.account.base_url = lib.mkDefault "http://127.0.0.1:${toString cfg.ports.PAPER_EXCHANGE}";
      }
      (service {
        name = "exchange";
        description = "the embedded exchange";
        command = lib.escapeShellArgs (
          [
            "exchange"
            "--port"
            (toString cfg.ports.PAPER_EXCHANGE)
            "--state"
            "/var/lib/hlhft-exchange/state"
            "--ready-file"
            "/run/hlhft-exchange/ready.json"
          ]
          ++ cfg.exchange.arguments
        );
        memory = "4G";
        notifies = false;
        relaxations = [
          "loopback"
          "jit"
        ];
        serviceConfig = {
          CacheDirectory = "hlhft-exchange";
          CacheDirectoryMode = "0700";
          RuntimeDirectory = "hlhft-exchange";
        };
      })
    ]
  );
}
