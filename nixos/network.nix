# The uplink: by DHCP, or as a rented machine has it, one address with a gateway that is on the link.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft.network;
  hardening = import ./lib/hardening.nix { inherit lib; };
in
{
  imports = [ ./package.nix ];

  options.services.hlhft.network = {
    enable = lib.mkEnableOption "systemd-networkd on the uplink";

    interface = lib.mkOption {
      type = lib.types.str;
      default = "en* eth0";
      description = "Names of the uplink, as systemd.network's Match has them.";
    };

    ipv4 = {
      address = lib.mkOption {
        type = lib.types.str;
        default = "";
        description = "Static address without prefix; empty: DHCP.";
      };
      gateway = lib.mkOption {
        type = lib.types.str;
        default = "";
        description = "Its gateway, which is on the link.";
      };
    };

    ipv6 = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "2001:db8::1/64";
      description = "Static IPv6 address with prefix; empty: what the router says.";
    };

    timeServers = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [
        "ntp1.hetzner.de"
        "ntp2.hetzner.com"
        "ntp3.hetzner.de"
      ];
      description = "Servers of the time; nonces and the venue's expiries need it within a second.";
    };
  };

  config = lib.mkIf (config.services.hlhft.enable && cfg.enable) {
    assertions = [
      {
        assertion = (cfg.ipv4.address == "") == (cfg.ipv4.gateway == "");
        message = "services.hlhft.network.ipv4: address and gateway belong together; say both, or none for DHCP.";
      }
      {
        assertion = cfg.ipv6 == "" || lib.hasInfix "/" cfg.ipv6;
        message = "services.hlhft.network.ipv6 has no prefix: write it as 2001:db8::1/64.";
      }
      {
        assertion = lib.length cfg.timeServers >= 3;
        message = "services.hlhft.network.timeServers: with fewer than three servers a false one cannot be told.";
      }
    ];

    networking = {
      useNetworkd = true;
      useDHCP = false;
    };
    systemd.network = {
      enable = true;
      networks."10-uplink" = {
        matchConfig.Name = cfg.interface;
        linkConfig.RequiredForOnline = "routable";
        networkConfig = {
          DHCP = if cfg.ipv4.address == "" then "ipv4" else "no";
          IPv6AcceptRA = cfg.ipv6 == "";
        };
        address =
          lib.optional (cfg.ipv4.address != "") "${cfg.ipv4.address}/32"
          ++ lib.optional (cfg.ipv6 != "") cfg.ipv6;
        routes =
          lib.optional (cfg.ipv4.address != "") {
            Gateway = cfg.ipv4.gateway;
            GatewayOnLink = true;
          }
          ++ lib.optional (cfg.ipv6 != "") { Gateway = "fe80::1"; };
      };
    };

    services.timesyncd.enable = false;
    services.chrony = {
      enable = true;
      servers = cfg.timeServers;
    };
    # The target means that the time is right, and not only that somebody is asked for it: within half a second, in two
    # minutes at most.
    systemd.services.hlhft-clock = {
      description = "hlhft, a clock that is right";
      wantedBy = [ "time-sync.target" ];
      before = [ "time-sync.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "chronyd.service"
      ];
      serviceConfig = hardening.of [ hardening.relaxations.loopback ] // {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${lib.getExe' pkgs.chrony "chronyc"} waitsync 120 0.5 0 1";
        DynamicUser = true;
      };
    };
  };
}
