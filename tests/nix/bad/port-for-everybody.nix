{
  base = "example";
  message = "opens 9090 to everybody";
  change = {
    networking.firewall.allowedTCPPorts = [ 9090 ];
  };
}
