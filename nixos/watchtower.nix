# The watchtower: the watchdog alone, on another host. It outlives the trading host, and cancels for it.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
in
{
  imports = [
    ./watchdog.nix
    ./wireguard.nix
  ];

  options.services.hlhft.watchtower.enable =
    lib.mkEnableOption "a watchdog for an engine on another host, which beats over WireGuard";

  config = lib.mkIf (cfg.enable && cfg.watchtower.enable) {
    assertions = [
      {
        assertion = !(cfg.engine.enable or false);
        message = "services.hlhft.watchtower and services.hlhft.engine run on one host: the loss of it would take both; put the watchtower on another.";
      }
      {
        assertion = cfg.wireguard.enable;
        message = "services.hlhft.watchtower hears the engine over WireGuard: enable services.hlhft.wireguard.";
      }
      {
        assertion = cfg.settings.account.address != "";
        message = "services.hlhft.settings.account.address is not set: a watchtower has no engine's key to ask, say whose orders they are.";
      }
    ];

    services.hlhft = {
      watchdog.enable = true;
      settings.watchdog.heartbeat = "${cfg.wireguard.address}:${toString cfg.ports.HEARTBEAT}";
    };
    networking.firewall.interfaces.wg0.allowedUDPPorts = [ cfg.ports.HEARTBEAT ];
  };
}
