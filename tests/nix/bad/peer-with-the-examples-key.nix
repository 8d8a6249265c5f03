{
  base = "full";
  message = "operator, watchtower has a public key of the examples";
  change =
    { lib, ... }:
    {
      services.hlhft.deployment.example = lib.mkForce false;
    };
}
