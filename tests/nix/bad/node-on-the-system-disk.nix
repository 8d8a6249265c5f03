{
  base = "full";
  message = "has no file system of its own";
  change =
    { lib, ... }:
    {
      services.hlhft.node.device = lib.mkForce "";
    };
}
