{
  base = "full";
  message = "names everybody";
  change = {
    services.hlhft.firewall.sshFrom = [ "0.0.0.0/0" ];
  };
}
