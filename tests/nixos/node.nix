# A node's service around a program that is linked for Ubuntu, as the venue's is: it is started when it is signed with the
# pinned key, finds its loader and its configuration, and only its two ports are open.
{
  self,
  pkgs,
  checking,
  ...
}:
let
  # What stands for hl-visor, with the loader where Ubuntu has it.
  visor = pkgs.runCommandCC "hlhft-test-visor" { nativeBuildInputs = [ pkgs.patchelf ]; } ''
    $CC -o $out ${./visor.c}
    patchelf --set-interpreter /lib64/ld-linux-x86-64.so.2 --remove-rpath $out
  '';
  data = {
    device = "tmpfs";
    fsType = "tmpfs";
  };
in
{
  name = "hlhft-node";

  nodes.machine = {
    imports = [
      self.nixosModules.default
      self.nixosModules.firewall
    ];
    environment = {
      systemPackages = [ pkgs.gnupg ];
      etc."hlhft-test/visor".source = visor;
    };
    virtualisation = {
      cores = 4;
      fileSystems."/var/lib/hlhft-node" = data;
    };
    fileSystems."/var/lib/hlhft-node" = data;
    services.hlhft = {
      enable = true;
      firewall = {
        enable = true;
        sshFrom = [ "192.168.1.254" ];
      };
      host.cpus = {
        count = 4;
        quiet = "2-3";
        assigned.hlhft-node = "2-3";
      };
      node = {
        enable = true;
        visor = "/var/lib/hlhft-visor/hl-visor";
        # Made in the machine: what signs in a test can be nobody's pinned key.
        signingKey = "/var/lib/hlhft-visor/key.asc";
        memoryMax = "1G";
      };
    };
  };

  nodes.peer.environment.systemPackages = [ pkgs.curl ];

  testScript =
    { nodes, ... }:
    checking "node" [ "machine" "peer" ] {
      inherit (nodes.machine.services.hlhft.node) visor chain peers;
      inherit (nodes.machine.services.hlhft) ports;
      uplink = nodes.machine.networking.primaryIPAddress;
      key = toString nodes.machine.services.hlhft.node.signingKey;
      cpus = nodes.machine.services.hlhft.host.cpus.assigned.hlhft-node;
    };
}
