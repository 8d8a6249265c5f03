{
  base = "full";
  message = "is not started unchecked";
  change =
    { lib, ... }:
    {
      services.hlhft.node.signingKey = lib.mkForce null;
    };
}
