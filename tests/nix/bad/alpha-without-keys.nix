{
  base = "full";
  message = "the public keys are missing";
  change =
    { lib, ... }:
    {
      services.hlhft.alpha.enginePublicKey = lib.mkForce "";
    };
}
