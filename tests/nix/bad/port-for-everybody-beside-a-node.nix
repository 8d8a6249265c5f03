{
  base = "full";
  message = "opens 4001 4002 9090 to everybody";
  change = {
    networking.firewall.allowedTCPPorts = [ 9090 ];
  };
}
