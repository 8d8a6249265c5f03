# The firewall: closed, but for WireGuard and, where asked for, SSH from named addresses. What serves on wg0 says so here.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  ssh = cfg.firewall.sshFrom;
  nodePorts = lib.optionals (cfg.node.enable or false) [
    cfg.ports.NODE_GOSSIP_FIRST
    cfg.ports.NODE_GOSSIP_SECOND
  ];
  isIpv6 = lib.hasInfix ":";
  accept =
    family: addresses:
    lib.optionalString (
      addresses != [ ]
    ) "${family} saddr { ${lib.concatStringsSep ", " addresses} } tcp dport 22 accept\n";
in
{
  imports = [ ./wireguard.nix ];

  options.services.hlhft.firewall = {
    enable = lib.mkEnableOption "the firewall, closed but for WireGuard";

    sshFrom = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "203.0.113.7" ];
      description = "Addresses from which SSH is reached without WireGuard; empty: none.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.firewall.enable) {
    assertions = [
      {
        assertion = cfg.wireguard.enable || ssh != [ ];
        message = "services.hlhft.firewall leaves no way in: enable services.hlhft.wireguard, or name addresses in firewall.sshFrom.";
      }
      {
        assertion = lib.all (address: builtins.match ".*/0" address == null) ssh;
        message = "services.hlhft.firewall.sshFrom names everybody: name single addresses or small networks.";
      }
      {
        assertion = config.networking.firewall.enable;
        message = "networking.firewall.enable is false and services.hlhft.firewall is on: leave the firewall on.";
      }
      {
        assertion = lib.subtractLists nodePorts config.networking.firewall.allowedTCPPorts == [ ];
        message = "networking.firewall.allowedTCPPorts opens ${toString config.networking.firewall.allowedTCPPorts} to everybody: serve on wg0, with networking.firewall.interfaces.wg0.";
      }
      {
        assertion = !config.services.openssh.settings.PasswordAuthentication;
        message = "services.openssh.settings.PasswordAuthentication is on: keys only, on a host with money.";
      }
    ];

    networking.nftables.enable = true;
    networking.firewall = {
      enable = lib.mkDefault true;
      allowPing = false;
      logRefusedConnections = false;
      allowedUDPPorts = lib.optional cfg.wireguard.enable cfg.ports.WIREGUARD;
      interfaces.wg0.allowedTCPPorts = [ 22 ];
      extraInputRules =
        accept "ip" (lib.filter (a: !(isIpv6 a)) ssh) + accept "ip6" (lib.filter isIpv6 ssh);
    };

    services.openssh = {
      enable = true;
      openFirewall = false;
      settings = {
        PasswordAuthentication = lib.mkDefault false;
        KbdInteractiveAuthentication = false;
        PermitRootLogin = "prohibit-password";
        X11Forwarding = false;
      };
    };
  };
}
