# A Hyperliquid node of one's own, which follows and does not validate. Its programs are the venue's: hl-visor is checked
# against a pinned key before each start, and what hl-visor itself fetches is trusted as far as the venue is.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  node = cfg.node;
  gossip = {
    root_node_ips = map (Ip: { inherit Ip; }) node.peers;
    try_new_peers = node.tryNewPeers;
    chain = node.chain;
    reserved_peer_ips = node.reservedPeers;
  };
in
{
  imports = [ ./host.nix ];

  options.services.hlhft.node = {
    enable = lib.mkEnableOption "a node that does not validate: it needs 16 CPUs, 128 GB of memory and 500 GB of disk";

    chain = lib.mkOption {
      type = lib.types.enum [
        "Mainnet"
        "Testnet"
      ];
      default = "Mainnet";
      description = "Which chain it follows.";
    };

    visor = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "/var/lib/hlhft-node/hl-visor";
      description = "The hl-visor program as it was downloaded, with its signature beside it in a file that ends in .asc.";
    };

    signingKey = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "The venue's public key, pinned: hl-visor is not started when it is not signed with it.";
    };

    peers = lib.mkOption {
      type = lib.types.listOf (lib.types.strMatching "([0-9]{1,3}\\.){3}[0-9]{1,3}");
      default = [ "157.90.207.92" ];
      description = "Addresses of nodes to begin with; on mainnet at least one is needed.";
    };

    tryNewPeers = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether it may find more by itself.";
    };

    reservedPeers = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Addresses of one's own nodes, which always find a place.";
    };

    device = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "/dev/disk/by-label/node";
      description = "The file system of its data, apart from everything else; empty: /var/lib/hlhft-node is one already.";
    };

    keepHours = lib.mkOption {
      type = lib.types.ints.positive;
      default = 48;
      description = "Hours that its files are kept: it writes about 100 GB a day.";
    };

    memoryMax = lib.mkOption {
      type = lib.types.str;
      default = "112G";
      description = "The most memory it may use.";
    };
  };

  config = lib.mkIf (cfg.enable && node.enable) {
    assertions = [
      {
        assertion = lib.hasPrefix "/" node.visor && !(lib.hasPrefix "/nix/store" node.visor);
        message = "services.hlhft.node.visor is not set: name the downloaded hl-visor by its absolute path, its .asc beside it.";
      }
      {
        assertion = node.signingKey != null;
        message = "services.hlhft.node.signingKey is not set: a program of the venue is not started unchecked; pin its public key.";
      }
      {
        assertion = node.chain != "Mainnet" || node.peers != [ ];
        message = "services.hlhft.node.peers is empty: on mainnet a node needs at least one to begin with.";
      }
      {
        assertion = config.fileSystems ? "/var/lib/hlhft-node";
        message = "services.hlhft.node has no file system of its own: set node.device, or fileSystems.\"/var/lib/hlhft-node\"; a full one must not stop the journal.";
      }
      {
        assertion = cfg.host.cpus.quiet == "" || cfg.host.cpus.assigned ? hlhft-node;
        message = "services.hlhft.node has no CPUs in host.cpus.assigned: give hlhft-node the quiet ones, it has many threads.";
      }
    ];

    fileSystems = lib.mkIf (node.device != "") {
      "/var/lib/hlhft-node" = {
        inherit (node) device;
        fsType = "ext4";
        options = [
          "noatime"
          "nosuid"
          "nodev"
        ];
      };
    };
    users.users.hlhft-node = {
      isSystemUser = true;
      group = "hlhft";
      home = "/var/lib/hlhft-node";
    };

    # The program is built for Ubuntu and looks for its loader where Ubuntu has it.
    programs.nix-ld.enable = true;
    environment.etc = {
      "hlhft/node/visor.json".text = builtins.toJSON { inherit (node) chain; };
      "hlhft/node/override_gossip_config.json".text = builtins.toJSON gossip;
    };

    systemd.services.hlhft-node = {
      description = "hlhft, a Hyperliquid node";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      path = [ pkgs.gnupg ];
      environment = {
        HOME = "/var/lib/hlhft-node";
        # NixOS sets these for sessions, not for services.
        NIX_LD = "/run/current-system/sw/share/nix-ld/lib/ld.so";
        NIX_LD_LIBRARY_PATH = "/run/current-system/sw/share/nix-ld/lib";
      };
      restartTriggers = [ (builtins.toJSON gossip) ];
      serviceConfig = {
        ExecStartPre = [
          "${lib.getExe pkgs.python3} ${./files/node_check.py} ${node.visor} ${toString node.signingKey}"
          "${pkgs.coreutils}/bin/cp /etc/hlhft/node/visor.json /etc/hlhft/node/override_gossip_config.json /var/lib/hlhft-node/"
        ];
        ExecStart = lib.concatStringsSep " " [
          node.visor
          "run-non-validator"
          "--write-raw-book-diffs"
          "--write-order-statuses"
          "--write-fills"
          "--batch-by-block"
          "--disable-output-file-buffering"
          "--serve-info"
        ];
        User = "hlhft-node";
        Group = "hlhft";
        WorkingDirectory = "/var/lib/hlhft-node";
        StateDirectory = "hlhft-node";
        StateDirectoryMode = "0750";
        UMask = "0027";
        Restart = "always";
        RestartSec = 5;
        MemoryMax = node.memoryMax;
        LimitNOFILE = 1048576;
        # It is not ours: what it may do is what it was seen to need, and nothing of the rest of the host.
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        PrivateDevices = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectControlGroups = true;
        RestrictNamespaces = true;
        LimitCORE = 0;
      }
      // lib.optionalAttrs (cfg.host.cpus.assigned ? hlhft-node) {
        CPUAffinity = cfg.host.cpus.assigned.hlhft-node;
      };
    };

    systemd.services.hlhft-node-pruning = {
      description = "hlhft, removal of the node's old files";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${lib.getExe' pkgs.findutils "find"} /var/lib/hlhft-node/hl/data -type f -mmin +${toString (60 * node.keepHours)} -delete";
        User = "hlhft-node";
        Group = "hlhft";
      };
      startAt = "hourly";
    };

    networking.firewall.allowedTCPPorts = [
      cfg.ports.NODE_GOSSIP_FIRST
      cfg.ports.NODE_GOSSIP_SECOND
    ];
  };
}
