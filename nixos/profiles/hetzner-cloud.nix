# Opinionated: a virtual machine of Hetzner's, addressed by DHCP. For watchtowers and tests: its CPUs are shared.
{ lib, ... }:
{
  imports = [ ./server.nix ];

  boot.loader.grub = {
    enable = true;
    device = lib.mkDefault "/dev/sda";
  };
  boot.initrd.availableKernelModules = [
    "virtio_pci"
    "virtio_scsi"
    "virtio_net"
    "sd_mod"
  ];
  services.qemuGuest.enable = true;
  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
}
