"""What setting up a deployment needs: certificates, keys, signed sessions, and all of it at once on one machine."""
