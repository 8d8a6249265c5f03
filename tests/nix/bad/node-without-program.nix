{
  base = "full";
  message = "node.visor is not set";
  change =
    { lib, ... }:
    {
      services.hlhft.node.visor = lib.mkForce "";
    };
}
