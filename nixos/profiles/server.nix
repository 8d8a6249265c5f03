# What every host of the appliance is, whoever rents it out: closed, and administered by key over WireGuard alone.
{ lib, ... }:
{
  imports = [
    ../firewall.nix
    ../network.nix
    ../updates.nix
  ];

  services.hlhft = {
    enable = lib.mkDefault true;
    network.enable = lib.mkDefault true;
    wireguard.enable = lib.mkDefault true;
    firewall.enable = lib.mkDefault true;
  };

  users.mutableUsers = lib.mkDefault false;
  security.sudo.enable = lib.mkDefault false;
  systemd.enableEmergencyMode = false;
  systemd.coredump.enable = false;
  systemd.settings.Manager = {
    RuntimeWatchdogSec = lib.mkDefault "30s";
    RebootWatchdogSec = lib.mkDefault "10min";
  };
  services.journald.extraConfig = "SystemMaxUse=2G";
  nix.settings.allowed-users = [ "root" ];
  documentation.enable = lib.mkDefault false;
  time.timeZone = "UTC";

  boot.kernel.sysctl = {
    "kernel.kptr_restrict" = 2;
    "kernel.dmesg_restrict" = 1;
    "kernel.unprivileged_bpf_disabled" = 1;
    "kernel.yama.ptrace_scope" = 2;
    "net.ipv4.conf.all.rp_filter" = 1;
    "net.ipv4.conf.all.accept_redirects" = 0;
    "net.ipv6.conf.all.accept_redirects" = 0;
    "net.ipv4.conf.all.send_redirects" = 0;
  };
  system.stateVersion = lib.mkDefault "26.05";
}
