{
  base = "full";
  message = "on mainnet a node needs at least one";
  change = {
    services.hlhft.node.peers = [ ];
  };
}
