# Opinionated: a dedicated machine of Hetzner's, with a static address and boot from two mirrored disks.
{ config, lib, ... }:
let
  network = config.services.hlhft.network;
in
{
  imports = [ ./server.nix ];

  assertions = [
    {
      assertion = network.ipv4.address != "";
      message = "services.hlhft.network.ipv4 is not set: a dedicated machine has one static address and gateway, which the rescue system shows.";
    }
  ];

  # Boots whichever disk is left.
  boot.loader.grub = {
    enable = true;
    efiSupport = false;
  };
  boot.swraid.enable = true;
  boot.initrd.availableKernelModules = [
    "nvme"
    "ahci"
    "sd_mod"
  ];
  hardware.cpu.amd.updateMicrocode = lib.mkDefault true;
  hardware.cpu.intel.updateMicrocode = lib.mkDefault true;
  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
}
